"""What families of networks are made of: their base class, heads, gates, fusion of photographs, task groups."""
