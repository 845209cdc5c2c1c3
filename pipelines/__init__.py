"""The room that publishes: data -> run -> version -> Production. It never imports `serving`."""
