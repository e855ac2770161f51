"""Memory on disk: the only room that speaks SQL or names a file inside a session."""
