"""The CNG model: rules, records and handle state. It knows no token and imports no backend."""
