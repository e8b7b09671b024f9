# Generated from openapi.yaml by `make generate`. Never edited by hand.
"""Contains endpoint functions for accessing the API"""
