"""What the pages of parents and of staff share: rendering, forms, prose."""
