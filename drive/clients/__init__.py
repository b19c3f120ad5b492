"""Thin gateways over the gRPC stubs: our words on one side, proto messages on the other."""
