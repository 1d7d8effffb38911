"""How others focus, each from its public description, on the ports that our own routines use."""
