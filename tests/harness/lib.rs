//! Real daemons for tests: started, killed and restarted by their process ids.
