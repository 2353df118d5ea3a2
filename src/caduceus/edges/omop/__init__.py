"""Databases in the OMOP common data model, versions 5.3 and 5.4, as clinical records.

Source: OHDSI, OMOP Common Data Model v5.3.1 and v5.4 (ohdsi.github.io/CommonDataModel).
"""

from caduceus.edges.omop.read import read_records

__all__ = ["read_records"]
