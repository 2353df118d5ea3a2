"""FHIR R4 as a source: bulk exports and bundles become records, or tables of a site's own views."""

from caduceus.edges.fhir.records import Reading, read_export, read_records
from caduceus.edges.fhir.tables import load_view, read_view, view_batches

__all__ = ["Reading", "load_view", "read_export", "read_records", "read_view", "view_batches"]
