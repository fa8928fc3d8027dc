"""Photographs and tables of a cohort, up to the dataset that trials map.

Layers: preparation → report → cohort | dataset → tables | imaging | patients.
"""
