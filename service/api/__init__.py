"""The HTTP interface: routes, request fields, responses."""
