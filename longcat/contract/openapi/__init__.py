"""An OpenAPI document, read: operations, schemas and variants."""
