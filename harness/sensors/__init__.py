"""Sensors: each a plug-in that reads domains; the sampler that polls them; the probe that checks them."""
