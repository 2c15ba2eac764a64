"""Protocols that run models over data and fill the paper's tables and figures."""
