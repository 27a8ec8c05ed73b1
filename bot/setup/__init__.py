"""Set-up from a bare checkout: two environments, assets, the sentence model. Standard library only."""
