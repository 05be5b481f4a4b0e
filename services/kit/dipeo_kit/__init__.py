"""The few things every DiPeO service needs: errors, ids, settings, logging, telemetry, gRPC server and channel."""
