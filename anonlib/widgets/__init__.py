"""Live views for notebooks; where no front end is there, each is a picture (see `static`)."""
