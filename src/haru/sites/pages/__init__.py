"""The pages on which people add sites, fetch their snippet and change what they have."""
