"""Messages, stubs and servicers of the wire, generated from `offers.proto` by `scripts/generate`."""
