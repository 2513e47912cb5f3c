"""Convert contracts to documents of the Open Data Contract Standard (ODCS) 3, and back."""
