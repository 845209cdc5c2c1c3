"""What containers of docker-compose.yml run besides serving: two jobs, and the start of the MLflow server."""
