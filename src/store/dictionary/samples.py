#!/usr/bin/env python3
"""Writes synthetic FHIR resources, one file each, to train a compression dictionary with.

    python3 samples.py FOLDER && zstd --train FOLDER/* --maxdict=24576 --dictID=1 -o 1.zdict

Every person, number and text in them is made up here, from a fixed seed: a dictionary holds plaintext,
so nothing that anybody ever stored goes into it. The words are those of FHIR R4 and US Core.
"""
import json, pathlib, random, sys, uuid

R = random.Random(20261123)
US = "http://hl7.org/fhir/us/core/StructureDefinition/"
HL7 = "http://terminology.hl7.org/CodeSystem/"
LOINC, SNOMED, RXNORM, CVX, UCUM = ("http://loinc.org", "http://snomed.info/sct",
    "http://www.nlm.nih.gov/research/umls/rxnorm", "http://hl7.org/fhir/sid/cvx", "http://unitsofmeasure.org")
GIVEN = "Ada Grace Alan Edsger Barbara Donald Frances Ken Radia John Jean Niklaus Margaret Tony Adele Robin".split()
FAMILY = "Rivers Stone Meadow Hill Brook Field Forest Lake Marsh Glen Dale Heath Moor Vale Cliff Shore".split()
STREETS = "Main Street|Oak Avenue|Maple Lane|Second Street|Park Road|Mill Way|Church Street|High Street".split("|")
CITIES = [("Springfield", "MA"), ("Riverton", "TX"), ("Fairview", "CA"), ("Georgetown", "NY"), ("Salem", "OR")]
VITALS = [("8302-2", "Body Height", "cm"), ("29463-7", "Body Weight", "kg"), ("39156-5", "Body mass index (BMI) [Ratio]", "kg/m2"),
    ("8867-4", "Heart rate", "/min"), ("9279-1", "Respiratory rate", "/min"), ("8310-5", "Body temperature", "Cel"),
    ("2708-6", "Oxygen saturation in Arterial blood", "%"), ("72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported", "{score}")]
LABS = [("2339-0", "Glucose [Mass/volume] in Blood", "mg/dL"), ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%"),
    ("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL"), ("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", "mg/dL"),
    ("2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma", "mg/dL"), ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL"),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL"), ("6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL"),
    ("2947-0", "Sodium [Moles/volume] in Blood", "mmol/L"), ("6298-4", "Potassium [Moles/volume] in Blood", "mmol/L"),
    ("33914-3", "Glomerular filtration rate/1.73 sq M.predicted", "mL/min/{1.73_m2}"), ("777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL")]
CONDITIONS = [("44054006", "Diabetes mellitus type 2 (disorder)"), ("38341003", "Hypertensive disorder, systemic arterial (disorder)"),
    ("195662009", "Acute viral pharyngitis (disorder)"), ("444814009", "Viral sinusitis (disorder)"), ("271737000", "Anemia (disorder)"),
    ("10509002", "Acute bronchitis (disorder)"), ("162864005", "Body mass index 30+ - obesity (finding)"), ("55822004", "Hyperlipidemia (disorder)"),
    ("195967001", "Asthma (disorder)"), ("36971009", "Sinusitis (disorder)")]
DRUGS = [("314076", "lisinopril 10 MG Oral Tablet"), ("860975", "24 HR metformin hydrochloride 500 MG Extended Release Oral Tablet"),
    ("312961", "simvastatin 20 MG Oral Tablet"), ("313782", "acetaminophen 325 MG Oral Tablet"), ("310965", "ibuprofen 200 MG Oral Tablet"),
    ("308136", "amlodipine 2.5 MG Oral Tablet"), ("745679", "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler")]
VACCINES = [("140", "Influenza, seasonal, injectable, preservative free"), ("08", "Hep B, adolescent or pediatric"), ("113", "Td (adult) preservative free"),
    ("208", "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, 30 mcg/0.3mL dose"), ("133", "Pneumococcal conjugate PCV 13")]
PROCEDURES = [("430193006", "Medication Reconciliation (procedure)"), ("710824005", "Assessment of health and social care needs (procedure)"),
    ("428211000124100", "Assessment of substance use (procedure)"), ("73761001", "Colonoscopy"), ("171207006", "Depression screening (procedure)")]
ENCOUNTERS = [("162673000", "General examination of patient (procedure)", "AMB"), ("185347001", "Encounter for problem (procedure)", "AMB"),
    ("50849002", "Emergency room admission (procedure)", "EMER"), ("185349003", "Encounter for check up (procedure)", "AMB"), ("32485007", "Hospital admission (procedure)", "IMP")]
SHAPES = {"type_form": 0}

def uid(): return str(uuid.UUID(int=R.getrandbits(128), version=4))
def day(): return f"{R.randint(1940, 2026)}-{R.randint(1, 12):02}-{R.randint(1, 28):02}"
def moment():
    return f"{R.randint(2008, 2026)}-{R.randint(1, 12):02}-{R.randint(1, 28):02}T{R.randint(0, 23):02}:{R.randint(0, 59):02}:{R.randint(0, 59):02}" + \
        R.choice(["Z", "+00:00", "-05:00", "-04:00", ".000Z", f".{R.randint(0, 999):03}-05:00"])
def coding(system, code, display): return {"system": system, "code": code, "display": display}
def concept(system, code, display):
    return {"coding": [coding(system, code, display)], **({"text": display} if R.random() < .8 else {})}
def hl7(name, code, display=None): return {"coding": [{"system": HL7 + name, "code": code, **({"display": display} if display else {})}]}
def ref(kind, display=None):
    reference = R.choice([f"{kind}/{uid()}", f"{kind}/{uid()}", f"urn:uuid:{uid()}", f"{kind}/{R.randint(1, 99999)}"])
    return {"reference": reference, **({"display": display} if display else {})}
def person():
    return {"use": "official", "family": R.choice(FAMILY), "given": R.sample(GIVEN, R.randint(1, 2)), **({"prefix": [R.choice(["Mr.", "Mrs.", "Ms.", "Dr."])]} if R.random() < .5 else {})}
def full(): return f"{R.choice(['Dr. ', 'Mr. ', 'Mrs. ', ''])}{R.choice(GIVEN)} {R.choice(FAMILY)}"
def address():
    city, state = R.choice(CITIES)
    return {**({"use": "home"} if R.random() < .5 else {}), "line": [f"{R.randint(1, 999)} {R.choice(STREETS)}" + R.choice(["", "", " Apt 4", " Suite 12"])], "city": city, "state": state, "postalCode": f"{R.randint(10000, 99999)}", "country": "US"}
def phone(): return {"system": "phone", "value": f"555-{R.randint(100, 999)}-{R.randint(1000, 9999)}", "use": R.choice(["home", "work", "mobile"])}
def quantity(unit, low=1, high=200): return {"value": round(R.uniform(low, high), R.randint(0, 4)), "unit": unit, "system": UCUM, "code": unit}
def narrative(title, rows):
    body = "".join(f"<tr><td>{k}</td><td>{v}</td></tr>" for k, v in rows)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p><b>Generated Narrative: {title}</b></p><table><tbody>{body}</tbody></table></div>'}
def start(kind, *profiles):
    meta = {**({"versionId": str(R.randint(1, 9)), "lastUpdated": moment()} if R.random() < .8 else {}), **({"profile": [US + p for p in profiles]} if profiles and R.random() < .7 else {})}
    return {"resourceType": kind, "id": uid(), **({"meta": meta} if meta else {})}

def patient():
    gender = R.choice(["male", "female"])
    race = R.choice([("2106-3", "White"), ("2054-5", "Black or African American"), ("2028-9", "Asian")])
    return {**start("Patient", "us-core-patient"), **({"text": narrative("Patient", [("Name", full()), ("DOB", day())])} if R.random() < .5 else {}),
        "extension": [
            {"url": US + "us-core-race", "extension": [{"url": "ombCategory", "valueCoding": coding("urn:oid:2.16.840.1.113883.6.238", *race)}, {"url": "text", "valueString": race[1]}]},
            {"url": US + "us-core-ethnicity", "extension": [{"url": "ombCategory", "valueCoding": coding("urn:oid:2.16.840.1.113883.6.238", "2186-5", "Not Hispanic or Latino")}, {"url": "text", "valueString": "Not Hispanic or Latino"}]},
            {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": full()},
            {"url": US + "us-core-birthsex", "valueCode": gender[0].upper()},
            {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueAddress": {"city": R.choice(CITIES)[0], "state": R.choice(CITIES)[1], "country": "US"}}],
        "identifier": [{"system": "https://hospital.example.org/patients", "value": uid()},
            {"type": {"coding": [coding(HL7 + "v2-0203", "MR", "Medical Record Number")], "text": "Medical Record Number"}, "system": "http://hospital.example.org", "value": uid()},
            {"type": {"coding": [coding(HL7 + "v2-0203", "SS", "Social Security Number")], "text": "Social Security Number"}, "system": "http://hl7.org/fhir/sid/us-ssn", "value": f"999-{R.randint(10, 99)}-{R.randint(1000, 9999)}"},
            {"type": {"coding": [coding(HL7 + "v2-0203", "DL", "Driver's License")], "text": "Driver's License"}, "system": "urn:oid:2.16.840.1.113883.4.3.25", "value": f"S999{R.randint(10000, 99999)}"}][:R.randint(1, 4)],
        "active": True, "name": [person()], "telecom": [phone()], "gender": gender, "birthDate": day(),
        **({"deceasedDateTime": moment()} if R.random() < .1 else {}), "address": [{**address(), **({"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/geolocation", "extension": [{"url": "latitude", "valueDecimal": R.uniform(25, 48)}, {"url": "longitude", "valueDecimal": R.uniform(-120, -70)}]}]} if R.random() < .4 else {})}],
        "maritalStatus": hl7("v3-MaritalStatus", R.choice("MSDW"), "Married"), "multipleBirthBoolean": False,
        "contact": [{"relationship": [hl7("v2-0131", "C", "Emergency Contact")], "name": person(), "telecom": [phone()]}] if R.random() < .3 else [],
        "communication": [{"language": {"coding": [coding("urn:ietf:bcp:47", "en-US", "English")], "text": "English"}}], "generalPractitioner": [ref("Practitioner", full())], "managingOrganization": ref("Organization")}

def observation():
    vital = R.random() < .5
    code, display, unit = R.choice(VITALS if vital else LABS)
    kind = ("vital-signs", "Vital signs") if vital else ("laboratory", "Laboratory")
    value = {"valueQuantity": quantity(unit)}
    choice = R.random()
    if choice < .15:
        code, display = "85354-9", "Blood pressure panel with all children optional"
        value = {"component": [{"code": concept(LOINC, "8480-6", "Systolic blood pressure"), "valueQuantity": quantity("mm[Hg]", 90, 160)}, {"code": concept(LOINC, "8462-4", "Diastolic blood pressure"), "valueQuantity": quantity("mm[Hg]", 50, 100)}]}
    elif choice < .25:
        code, display, kind = "72166-2", "Tobacco smoking status", ("social-history", "Social History")
        value = {"valueCodeableConcept": concept(SNOMED, "266919005", "Never smoked tobacco (finding)")}
    elif choice < .3:
        value = {"valueString": "within normal limits"}
    when = moment()
    return {**start("Observation", "us-core-vital-signs" if vital else "us-core-observation-lab"), **({"text": narrative("Observation", [("Code", display)])} if R.random() < .1 else {}),
        "status": R.choice(["final", "final", "amended", "preliminary"]), "category": [{"coding": [coding(HL7 + "observation-category", *kind)]}], "code": concept(LOINC, code, display),
        "subject": ref("Patient", full() if R.random() < .2 else None), "encounter": ref("Encounter"), "effectiveDateTime": when, "issued": when,
        **({"performer": [ref("Practitioner", full())]} if R.random() < .4 else {}), **value,
        **({"interpretation": [hl7("v3-ObservationInterpretation", R.choice("NHL"), R.choice(["Normal", "High", "Low"]))], "referenceRange": [{"low": quantity(unit, 1, 50), "high": quantity(unit, 60, 200), "text": "normal range"}]} if R.random() < .3 else {}),
        **({"note": [{"text": "taken at rest, patient seated"}]} if R.random() < .1 else {})}

def condition():
    active = R.random() < .5
    return {**start("Condition", "us-core-condition-encounter-diagnosis"), "clinicalStatus": hl7("condition-clinical", "active" if active else "resolved"), "verificationStatus": hl7("condition-ver-status", "confirmed"),
        "category": [hl7("condition-category", R.choice(["encounter-diagnosis", "problem-list-item"]), "Encounter Diagnosis")], "severity": concept(SNOMED, "24484000", "Severe"), "code": concept(SNOMED, *R.choice(CONDITIONS)),
        "subject": ref("Patient"), "encounter": ref("Encounter"), "onsetDateTime": moment(), **({} if active else {"abatementDateTime": moment()}), "recordedDate": moment(), "recorder": ref("Practitioner", full())}

def encounter():
    code, display, kind = R.choice(ENCOUNTERS)
    who = full()
    return {**start("Encounter", "us-core-encounter"), "identifier": [{"use": "official", "system": "https://hospital.example.org/encounters", "value": uid()}], "status": R.choice(["finished", "in-progress", "planned"]),
        "class": {"system": HL7 + "v3-ActCode", "code": kind}, "type": [concept(SNOMED, code, display)], "subject": ref("Patient", full()),
        "participant": [{"type": [{"coding": [coding(HL7 + "v3-ParticipationType", "PPRF", "primary performer")], "text": "primary performer"}], "period": {"start": moment(), "end": moment()}, "individual": ref("Practitioner", who)}],
        "period": {"start": moment(), "end": moment()}, "reasonCode": [concept(SNOMED, *R.choice(CONDITIONS))], "hospitalization": {"dischargeDisposition": concept("http://www.nubc.org/patient-discharge", "01", "Discharged to home care or self care (routine discharge)")},
        "location": [{"location": ref("Location", "GENERAL HOSPITAL")}], "serviceProvider": ref("Organization", "GENERAL HOSPITAL")}

def medication_request():
    code, display = R.choice(DRUGS)
    return {**start("MedicationRequest", "us-core-medicationrequest"), "status": R.choice(["active", "completed", "stopped"]), "intent": "order", "category": [hl7("medicationrequest-category", "community", "Community")],
        "medicationCodeableConcept": concept(RXNORM, code, display), "subject": ref("Patient"), "encounter": ref("Encounter"), "authoredOn": moment(), "requester": ref("Practitioner", full()), "reasonReference": [ref("Condition")],
        "dosageInstruction": [{"sequence": 1, "text": R.choice(["Take one tablet by mouth daily.", "Take as needed.", "Take two puffs every four hours as needed."]), "timing": {"repeat": {"frequency": R.randint(1, 4), "period": 1, "periodUnit": "d"}}, "asNeededBoolean": False,
            "route": concept(SNOMED, "26643006", "Oral route (qualifier value)"), "doseAndRate": [{"type": hl7("dose-rate-type", "ordered", "Ordered"), "doseQuantity": {"value": R.randint(1, 3)}}]}],
        "dispenseRequest": {"validityPeriod": {"start": day(), "end": day()}, "numberOfRepeatsAllowed": R.randint(0, 5), "quantity": {"value": 30, "unit": "tablet"}, "expectedSupplyDuration": quantity("d", 7, 90)}}

def procedure():
    return {**start("Procedure", "us-core-procedure"), "status": "completed", "code": concept(SNOMED, *R.choice(PROCEDURES)), "subject": ref("Patient"), "encounter": ref("Encounter"), "performedPeriod": {"start": moment(), "end": moment()},
        "performer": [{"actor": ref("Practitioner", full())}], "location": ref("Location", "GENERAL HOSPITAL"), "reasonReference": [{**ref("Condition"), "display": R.choice(CONDITIONS)[1]}], "note": [{"text": "no complications"}]}

def report():
    code, display, _ = R.choice(LABS)
    return {**start("DiagnosticReport", "us-core-diagnosticreport-lab"), "status": "final", "category": [hl7("v2-0074", "LAB", "Laboratory"), {"coding": [coding(LOINC, "34117-2", "History and physical note")]}], "code": concept(LOINC, R.choice(["58410-2", "51990-0", "57698-3"]), "CBC panel - Blood by Automated count"),
        "subject": ref("Patient"), "encounter": ref("Encounter"), "effectiveDateTime": moment(), "issued": moment(), "performer": [ref("Organization", "GENERAL HOSPITAL")], "result": [{**ref("Observation"), "display": d} for _, d, _ in R.sample(LABS, 3)],
        "presentedForm": [{"contentType": "text/plain; charset=utf-8", "data": "CiMgQ2hpZWYgQ29tcGxhaW50"}], "conclusion": "values are within the reference ranges"}

def immunization():
    code, display = R.choice(VACCINES)
    return {**start("Immunization", "us-core-immunization"), "status": "completed", "vaccineCode": concept(CVX, code, display), "patient": ref("Patient"), "encounter": ref("Encounter"), "occurrenceDateTime": moment(), "primarySource": True, "lotNumber": f"A{R.randint(1000, 9999)}", "location": ref("Location", "GENERAL HOSPITAL")}

def allergy():
    return {**start("AllergyIntolerance", "us-core-allergyintolerance"), "clinicalStatus": hl7("allergyintolerance-clinical", "active"), "verificationStatus": hl7("allergyintolerance-verification", "confirmed"), "type": "allergy", "category": [R.choice(["food", "environment", "medication"])], "criticality": R.choice(["low", "high"]),
        "code": concept(SNOMED, "91935009", "Allergy to peanuts"), "patient": ref("Patient"), "recordedDate": moment(), "reaction": [{"manifestation": [concept(SNOMED, "247472004", "Wheal (finding)")], "severity": "mild"}]}

def plan():
    return {**start("CarePlan", "us-core-careplan"), "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Care Plan for Diabetes self management plan.<br/>Activities: <ul><li>Diabetic diet</li></ul></div>'}, "status": "active", "intent": "order",
        "category": [{"coding": [{"system": "http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "code": "assess-plan"}]}, concept(SNOMED, "698360004", "Diabetes self management plan")], "subject": ref("Patient"), "encounter": ref("Encounter"), "period": {"start": moment()}, "careTeam": [ref("CareTeam")], "addresses": [ref("Condition")], "goal": [ref("Goal")],
        "activity": [{"detail": {"code": concept(SNOMED, "160670007", "Diabetic diet"), "status": "in-progress", "location": {"display": "GENERAL HOSPITAL"}}}]}

def team():
    return {**start("CareTeam", "us-core-careteam"), "status": "active", "subject": ref("Patient"), "encounter": ref("Encounter"), "period": {"start": moment()}, "participant": [{"role": [concept(SNOMED, "116154003", "Patient")], "member": ref("Patient", full())}, {"role": [concept(SNOMED, "223366009", "Healthcare professional (occupation)")], "member": ref("Practitioner", full()), "onBehalfOf": ref("Organization")}], "managingOrganization": [ref("Organization", "GENERAL HOSPITAL")]}

def claim(kind="Claim"):
    code, display, _ = R.choice(ENCOUNTERS)
    return {**start(kind), "status": "active", "type": hl7("claim-type", R.choice(["professional", "institutional", "pharmacy"])), "use": "claim", "patient": ref("Patient", full()), "billablePeriod": {"start": moment(), "end": moment()}, "created": moment(), "insurer": {"display": "Medicare"}, "provider": ref("Organization", "GENERAL HOSPITAL"), "priority": hl7("processpriority", "normal"),
        **({"outcome": "complete", "payment": {"amount": {"value": R.uniform(10, 900), "currency": "USD"}}, "identifier": [{"system": "https://bluebutton.cms.gov/resources/variables/clm_id", "value": uid()}]} if kind != "Claim" else {}), "diagnosis": [{"sequence": 1, "diagnosisReference": ref("Condition")}], "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "Medicare"}}],
        "item": [{"sequence": n + 1, "productOrService": concept(SNOMED, code, display), "encounter": [ref("Encounter")], **({"adjudication": [{"category": coding_list("adjudication"), "amount": {"value": R.uniform(10, 900), "currency": "USD"}}]} if kind != "Claim" else {})} for n in range(R.randint(1, 3))], "total": {"value": R.uniform(10, 900), "currency": "USD"} if kind == "Claim" else [{"category": coding_list("adjudication"), "amount": {"value": R.uniform(10, 900), "currency": "USD"}}]}
def coding_list(name): return {"coding": [coding(HL7 + name, "submitted", "Submitted Amount")], "text": "Submitted Amount"}

def document():
    return {**start("DocumentReference", "us-core-documentreference"), "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uid()}"}], "status": "current", "type": concept(LOINC, "34117-2", "History and physical note"), "category": [{"coding": [coding("http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note", "Clinical Note")]}],
        "subject": ref("Patient"), "date": moment(), "author": [ref("Practitioner", full())], "custodian": ref("Organization", "GENERAL HOSPITAL"), "content": [{"attachment": {"contentType": "text/plain; charset=utf-8", "data": "CiMgQ2hpZWYgQ29tcGxhaW50"}, "format": coding("http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", "urn:ihe:iti:xds:2017:mimeTypeSufficient", "mimeType Sufficient")}], "context": {"encounter": [ref("Encounter")], "period": {"start": moment(), "end": moment()}}}

def provenance():
    return {**start("Provenance", "us-core-provenance"), "target": [ref("Patient"), ref("Observation"), ref("Condition")], "recorded": moment(), "agent": [{"type": hl7("provenance-participant-type", "author", "Author"), "who": ref("Practitioner", full()), "onBehalfOf": ref("Organization", "GENERAL HOSPITAL")}]}

def practitioner():
    return {**start("Practitioner", "us-core-practitioner"), "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": str(R.randint(10**9, 10**10 - 1))}], "active": True, "name": [person()], "telecom": [{"system": "email", "value": "first.last@example.org", "use": "work"}], "address": [address()], "gender": R.choice(["male", "female"]), "qualification": [{"code": hl7("v2-0360", "MD", "Doctor of Medicine")}]}

def organization():
    return {**start("Organization", "us-core-organization"), "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": str(R.randint(10**9, 10**10 - 1))}], "active": True, "type": [{"coding": [coding(HL7 + "organization-type", "prov", "Healthcare Provider")], "text": "Healthcare Provider"}], "name": "GENERAL HOSPITAL", "telecom": [phone()], "address": [address()]}

def location():
    return {**start("Location", "us-core-location"), "status": "active", "name": "GENERAL HOSPITAL", "telecom": [phone()], "address": address(), "position": {"longitude": R.uniform(-120, -70), "latitude": R.uniform(25, 48)}, "managingOrganization": ref("Organization", "GENERAL HOSPITAL")}

def service_request():
    code, display, _ = R.choice(LABS)
    return {**start("ServiceRequest"), "status": "active", "intent": "order", "category": [concept(SNOMED, "108252007", "Laboratory procedure")], "priority": "routine", "code": concept(LOINC, code, display), "subject": ref("Patient"), "encounter": ref("Encounter"), "authoredOn": moment(), "requester": ref("Practitioner", full()), "reasonCode": [concept(SNOMED, *R.choice(CONDITIONS))]}

def goal():
    return {**start("Goal", "us-core-goal"), "lifecycleStatus": "active", "achievementStatus": hl7("goal-achievement", "in-progress", "In Progress"), "description": {"text": "blood pressure below 140/90"}, "subject": ref("Patient"), "target": [{"measure": concept(LOINC, "8480-6", "Systolic blood pressure"), "dueDate": day()}], "addresses": [ref("Condition")]}

def coverage():
    return {**start("Coverage"), "status": "active", "type": hl7("v3-ActCode", "HIP", "health insurance plan policy"), "subscriberId": f"M{R.randint(10**7, 10**8)}", "beneficiary": ref("Patient"), "relationship": hl7("subscriber-relationship", "self"), "period": {"start": day(), "end": day()}, "payor": [ref("Organization", "Medicare")], "class": [{"type": hl7("coverage-class", "plan", "Plan"), "value": "gold"}]}

def appointment():
    return {**start("Appointment"), "status": R.choice(["booked", "fulfilled", "cancelled"]), "serviceType": [hl7("service-type", "124", "General Practice")], "reasonCode": [concept(SNOMED, *R.choice(CONDITIONS))], "description": "follow-up visit", "start": moment(), "end": moment(), "created": day(), "participant": [{"actor": ref("Patient", full()), "required": "required", "status": "accepted"}, {"actor": ref("Practitioner", full()), "required": "required", "status": "accepted"}]}

def task():
    return {**start("Task"), "status": R.choice(["requested", "completed"]), "intent": "order", "priority": "routine", "code": {"text": "review"}, "description": "please review", "focus": ref("ServiceRequest"), "for": ref("Patient"), "authoredOn": moment(), "lastModified": moment(), "requester": ref("Practitioner", full()), "owner": ref("Organization")}

def questionnaire_response():
    return {**start("QuestionnaireResponse"), "questionnaire": "http://example.org/Questionnaire/phq-9", "status": "completed", "subject": ref("Patient"), "encounter": ref("Encounter"), "authored": moment(), "author": ref("Patient"), "item": [{"linkId": f"/{44250 + n}-9", "text": "Little interest or pleasure in doing things", "answer": [{"valueCoding": coding(LOINC, "LA6568-5", "Not at all")}]} for n in range(3)]}

def device():
    return {**start("Device", "us-core-implantable-device"), "udiCarrier": [{"deviceIdentifier": str(R.randint(10**13, 10**14)), "carrierHRF": "(01)00844588003288(17)141120(10)7654321D(21)10987654d321"}], "status": "active", "distinctIdentifier": str(R.randint(10**13, 10**14)), "manufactureDate": moment(), "expirationDate": moment(), "lotNumber": "123", "serialNumber": "456", "deviceName": [{"name": "Implantable cardiac pacemaker", "type": "user-friendly-name"}], "type": concept(SNOMED, "706004007", "Implantable cardiac pacemaker"), "patient": ref("Patient")}

SEALED = {"name", "identifier", "telecom", "address", "birthDate", "text", "contact", "note", "dosageInstruction"}
KINDS = [patient] * 4 + [observation] * 12 + [condition] * 4 + [encounter] * 4 + [medication_request] * 3 + [procedure] * 3 + [report] * 3 + [immunization] * 2 + [allergy, plan, team, document, provenance, practitioner,
    organization, location, service_request, goal, coverage, appointment, task, questionnaire_response, device] + [claim] * 2 + [lambda: claim("ExplanationOfBenefit")] * 2

def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(6000):
        resource = {k: v for k, v in R.choice(KINDS)().items() if v != []}
        pretty = R.random() < .12
        write = (lambda v: json.dumps(v, indent=2)) if pretty else (lambda v: json.dumps(v, separators=(",", ":")))
        (folder / f"{number:05}").write_text(write(resource))
        # What a section holds: the sealed members alone.
        sections = "".join(write(v) for k, v in resource.items() if k in SEALED or (k == "code" and resource["resourceType"] == "Condition"))
        if len(sections) > 40:
            (folder / f"{number:05}s").write_text(sections)

main()
