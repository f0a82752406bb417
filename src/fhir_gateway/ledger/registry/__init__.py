"""What is served to registries: their clients, groups of people, pulls and bulk exports."""
