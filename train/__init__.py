"""Workstation tools: render data sets, train and evaluate networks."""
