{ memory-node }: { ... }: { }
