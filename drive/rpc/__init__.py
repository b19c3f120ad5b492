"""What other services ask of Drive, over gRPC. Nothing here is imported where `DRIVE_GRPC_LISTEN` is unset."""
