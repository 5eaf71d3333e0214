"""Results -> PromptLayer or a collector of OpenTelemetry, each thing once."""
