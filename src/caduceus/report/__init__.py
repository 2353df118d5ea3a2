"""One self-contained page about a job: from facts to HTML, without a network, a script host or a font server."""
