"""What all pages of the notifier have in common: the base page, the stylesheet, and the headers that keep everything else out."""
