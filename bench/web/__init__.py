"""Parts of the bench of the web pages."""
