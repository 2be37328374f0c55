"""The build of the tracker: from its source to the files that are served."""
