"""PyPI fhirpy, both of its clients, with a token from a sign-in."""

import asyncio
import base64
import hashlib
import secrets
from urllib.parse import parse_qs, urlsplit

import requests
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound
from user import User, setup


def token(username, scope):
    known = requests.get(setup["fhir"] + "/.well-known/smart-configuration").json()
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    redirect = setup["origin"] + "/app"
    asked = {
        "response_type": "code", "client_id": "app", "redirect_uri": redirect, "scope": scope, "state": "s",
        "aud": setup["fhir"], "code_challenge": challenge, "code_challenge_method": "S256",
    }
    user = User().open(requests.Request("GET", known["authorization_endpoint"], params=asked).prepare().url)
    user.sign_in(username)
    user.allow()
    code = parse_qs(urlsplit(user.left).query)["code"][0]
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "client_id": "app",
        "code_verifier": verifier,
    }
    answer = requests.post(known["token_endpoint"], data=form)
    assert answer.status_code == 200, answer.text
    return "Bearer " + answer.json()["access_token"]


async def clinician(authorization):
    client = AsyncFHIRClient(setup["fhir"], authorization=authorization)
    weights = client.resources("Observation").search(patient="pat", code="29463-7")
    assert await weights.count() == 24
    assert len(await weights.limit(5).fetch()) == 5
    assert len({it["id"] for it in await weights.limit(5).fetch_all()}) == 24
    after = await weights.search(date__ge="2020-01-01").fetch_all()
    assert len(after) == 4, len(after)
    included = await weights.include("Observation", "subject").fetch_raw()
    assert any(entry.resource["resourceType"] == "Patient" for entry in included["entry"])

    one = await client.resources("Observation").search(_id="weight-9").first()
    subject = await one["subject"].to_resource()
    assert subject["birthDate"] == "1980-02-03"

    patient = client.resource("Patient", name=[{"family": "New", "given": ["Nora"]}])
    await patient.save()
    patient["gender"] = "female"
    await patient.save()
    # Its patch, a part of a resource, is none that R4 knows.
    try:
        await patient.patch(birthDate="2001-01-01")
        raise AssertionError("this is no patch")
    except OperationOutcome as error:
        assert "resourceType is missing" in str(error), error
    await patient.refresh()
    assert (patient["gender"], patient["meta"]["versionId"]) == ("female", "2")
    await patient.delete()
    try:
        await client.reference("Patient", patient["id"]).to_resource()
        raise AssertionError("it is gone")
    except (ResourceNotFound, OperationOutcome):
        pass
    everything = await client.execute("Patient/pat/$everything", method="get")
    assert everything["resourceType"] == "Bundle"
    try:
        await client.resource("Patient", birthDate="soon").save()
        raise AssertionError("it is not a date")
    except OperationOutcome as error:
        assert "birthDate" in str(error)


def patient(authorization):
    client = SyncFHIRClient(setup["fhir"], authorization=authorization)
    assert [it["id"] for it in client.resources("Patient").fetch_all()] == ["pat"]
    assert len(client.resources("Observation").limit(7).fetch_all()) == 24
    for deed in [
        lambda: client.reference("Patient", "sam").to_resource(),
        lambda: client.resource("Patient", name=[{"family": "New"}]).save(),
        lambda: SyncFHIRClient(setup["fhir"]).resources("Patient").fetch(),
    ]:
        try:
            deed()
        except Exception as error:
            assert not isinstance(error, AssertionError)
            continue
        raise AssertionError("this must not work")


asyncio.run(clinician(token("ada1", "openid fhirUser user/*.cruds")))
patient(token("pat1", "launch/patient patient/*.rs"))
