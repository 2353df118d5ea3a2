"""What columns with identifiers are called, by class of Safe Harbor, and what is called so and is none."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from caduceus.data.readiness import hipaa

PHRASES: Mapping[int, str] = MappingProxyType(
    {
        hipaa.NAME: "name; first name; last name; given name; family name; full name; middle name; patient name; "
        "surname; "
        "forename; firstname; lastname; fullname; maiden name; mother name; father name; guardian name; initials; "
        "nickname; "
        "next of kin; emergency contact; vorname; nachname; familienname; geburtsname; prenom; prénom; nom; nombre; "
        "apellido; apellidos; cognome; nome; voornaam; achternaam; naam; imie; nazwisko; efternamn; fornamn; navn; "
        "etternavn; fornavn",
        hipaa.PLACE: "address; street; address line; address 1; address 2; addr; zip; zipcode; zip code; postal code; "
        "postcode; postalcode; city; town; village; county; district; parish; precinct; census tract; census block; "
        "geocode; latitude; longitude; lat; lon; lng; long; gps; coordinates; adresse; strasse; straße; plz; "
        "postleitzahl; "
        "ort; wohnort; stadt; gemeinde; rue; ville; commune; code postal; calle; ciudad; codigo postal; indirizzo; "
        "citta; "
        "cap; straat; gemeente; gata; postnummer; ulica; miasto; residence; birthplace; birth place; place of birth",
        hipaa.PHONE: "phone; telephone; phone number; mobile; cell; cellphone; tel; telefon; handy; mobil; telefono; "
        "teléfono; téléphone; telefoon; pager; contact number",
        hipaa.FAX: "fax; fax number; faxnummer; telefax; telecopie",
        hipaa.EMAIL: "email; e mail; mail; email address; correo; courriel",
        hipaa.SSN: "ssn; social security; social security number; sozialversicherungsnummer; svnr; sin number; itin",
        hipaa.RECORD: "mrn; medical record; medical record number; medical record no; record number; record no; chart "
        "number; "
        "hospital number; hospital id; patient number; patient no; case number; fallnummer; patientennummer; patnr; "
        "aktennummer; numero dossier; ipp; nip; accession; accession number; encounter number; visit number; csn; empi",
        hipaa.PLAN: "health plan; health plan number; health plan id; beneficiary; beneficiary number; member id; "
        "member number; "
        "insurance id; insurance number; policy number; subscriber id; subscriber number; group number; medicare; "
        "medicaid; "
        "medicare id; mbi; hicn; versichertennummer; kvnr; versicherungsnummer; krankenkasse nummer; payer id",
        hipaa.ACCOUNT: "account; account number; account no; account id; acct; billing account; bank account; iban; "
        "konto; "
        "kontonummer; credit card; card number; invoice number; guarantor",
        hipaa.LICENCE: "license; licence; license number; licence number; certificate number; driver license; drivers "
        "license; "
        "driver licence; dl number; npi; dea; dea number; passport; passport number; fuhrerschein; führerschein; "
        "permiso; "
        "birth certificate; death certificate; ausweis; personalausweis",
        hipaa.VEHICLE: "vehicle; vin; license plate; licence plate; plate number; plate; number plate; registration "
        "plate; "
        "kennzeichen; fahrgestellnummer; matricula",
        hipaa.DEVICE: "device id; device identifier; device serial; serial; serial number; serial no; udi; imei; "
        "imsi; mac address; "
        "implant serial; pump serial; unique device id; seriennummer; lot number",
        hipaa.URL: "url; web address; website; homepage; portal link; web site; uri",
        hipaa.IP: "ip; ip address; ip addr; ipv4; ipv6; host name; hostname",
        hipaa.BIOMETRIC: "fingerprint; finger print; voiceprint; voice print; retina scan; iris scan; biometric; "
        "biometrics; "
        "faceprint; genome sequence; dna sequence; gait signature",
        hipaa.PHOTO: "photo; photograph; picture; face image; portrait; selfie; headshot; passbild; foto",
        hipaa.OTHER: "national id; nhs number; nhs no; nhs; bsn; nir; dni; nie; nif; cpf; cpr number; aadhaar; "
        "personnummer; "
        "fodselsnummer; pesel; steuer id; tax id; tin; codice fiscale; citizen id; employee id; employee number; "
        "student id; "
        "username; user name; login; user id; twitter; facebook; instagram; whatsapp; voter id; military id; badge "
        "number; "
        "specimen id; sample barcode; barcode; person source value; study number",
    }
)

HARMLESS = (
    "drug name",
    "medication name",
    "test name",
    "lab name",
    "procedure name",
    "diagnosis name",
    "condition name",
    "concept name",
    "study name",
    "site name",
    "variable name",
    "column name",
    "file name",
    "unit name",
    "code name",
    "generic name",
    "brand name",
    "trade name",
    "product name",
    "event name",
    "visit name",
    "department name",
    "ward name",
    "gene name",
    "city size",
    "county code",
    "mobile home",
    "mail order",
    "cell count",
    "white cell",
    "red cell",
    "blood cell",
    "cell volume",
    "t cell",
    "b cell",
    "cell type",
    "cell size",
    "cell shape",
    "single cell",
    "cell lung",
    "photo therapy",
    "serial measurement",
    "name type",
    "long term",
    "long acting",
    "how long",
    "qt long",
    "ip hours",
    "cap refill",
    "nir spectroscopy",
    "tin level",
    "plate count",
    "plate thickness",
    "growth plate",
    "account for",
    "medicare flag",
    "address type",
    "town type",
    "length long",
    "smoking history record",
    "lat dominant",
    "record count",
    "vehicle accident",
    "motor vehicle",
    "vehicle crash",
    "picture naming",
    "biometric screening",
    "on medicare",
    "on medicaid",
    "has insurance",
    "cell density",
    "ort score",
    "handy scale",
    "certificate type",
    "phone contact made",
    "email sent",
    "long axis",
    "sickle cell",
    "stem cell",
)
"""Phrases in which such a word says something else."""

SHORT = frozenset(
    {
        "nom",
        "cap",
        "ort",
        "lat",
        "lon",
        "lng",
        "long",
        "tel",
        "nir",
        "nie",
        "nip",
        "ip",
        "tin",
        "mail",
        "cell",
        "plate",
        "handy",
        "serial",
        "mobile",
        "record",
        "nome",
        "uri",
        "dea",
        "picture",
        "district",
        "medicare",
        "medicaid",
        "account",
        "vehicle",
    }
)
"""Words that count only alone, because other things are called so too."""
