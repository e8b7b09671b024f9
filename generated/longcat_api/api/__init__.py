# Generated from openapi.yaml by `make generate`. Never edited by hand.
"""Contains methods for accessing the API"""
