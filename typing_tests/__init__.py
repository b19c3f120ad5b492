"""What type checkers tell those who write a service on `drive.lazy`. Never run: mypy and pyright read it.

`assert_type` says what must be inferred. A line with `# type: ignore[…]  # pyright: ignore[…]` is a mistake that both
must find: where mypy or pyright no longer does, it reports its comment as unnecessary.
"""
