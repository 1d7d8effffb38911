"""Round about the settings: what there is to set, where values come from, what is wrong."""
