"""Messages, stubs and servicers of the wire, generated from `protos/` by `scripts/generate`."""
