"""What an operator sees of one role's process: events, figures, a status, and a log that can't be rewritten unseen."""
