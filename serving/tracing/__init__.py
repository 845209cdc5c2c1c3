"""OpenTelemetry traces: the only room that knows that library, and only once an endpoint is set. docs/tracing.md"""
