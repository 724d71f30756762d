"""The only package that knows HTTP: middleware, routes, problem documents and pages."""
