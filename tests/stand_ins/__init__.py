"""Small real HTTP servers that behave like GitHub and OneDev, oddities and errors included."""
