"""One file for each resource; `service.app` puts them together."""
