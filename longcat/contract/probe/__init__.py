"""The probe: what is sent to a gateway to see whether it keeps the contract, and how."""
