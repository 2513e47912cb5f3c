"""Recipes, heads and bindings under a name; what is delivered from production is what users see."""

PRODUCTION = "prod"
