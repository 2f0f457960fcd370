"""smdebug's hook, rules on what it saves, and the debug report."""
