"""Arrays and tables in, figures and text out; matplotlib is imported only here and in widgets."""
