"""Signpost: answers about a children's integrated therapy service, and a query cycle that ends with a valid answer."""
