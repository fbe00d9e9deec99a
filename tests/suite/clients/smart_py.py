"""PyPI fhirclient: it reads the CapabilityStatement alone to find the authorization server, and its models are strict."""

from fhirclient import client
from fhirclient.models.condition import Condition
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.models.practitioner import Practitioner
from fhirclient.server import (
    FHIRNotFoundException,
    FHIRPermissionDeniedException,
    FHIRUnauthorizedException,
)
from user import User, setup


def smart_of(app_id, scope, **more):
    settings = {
        "app_id": app_id,
        "api_base": setup["fhir"],
        "redirect_uri": setup["origin"] + "/app",
        "scope": scope,
    }
    smart = client.FHIRClient(settings={**settings, **more})
    assert not smart.ready
    smart.prepare()
    return smart


def refused(deed, *kinds):
    try:
        deed()
    except kinds or Exception as error:
        return error
    raise AssertionError("this must not work")


def launched(username, app_id, scope, **more):
    smart = smart_of(app_id, scope, **more)
    user = User().open(smart.authorize_url)
    user.sign_in(username)
    user.allow()
    smart.handle_callback(user.left)
    assert smart.ready
    return smart, user


# Standalone, public and with a secret: the patient's own record, and every page of it.
for username, app_id, more in [
    ("pat1", "app", {}),
    ("pat2", "web", {"app_secret": setup["secret"]}),
]:
    smart, user = launched(username, app_id, "openid fhirUser offline_access patient/*.rs", **more)
    assert smart.patient_id == "pat"
    assert smart.patient.birthDate.isostring == "1980-02-03"
    assert smart.human_name(smart.patient.name[0]) == "pat Example"
    search = Observation.where({"patient": "pat", "_count": "5"})
    found = list(search.perform_resources_iter(smart.server))
    assert len(found) == len({it.id for it in found}) == 24
    # Its models read a reference as a thing of the same server.
    subject = found[0].subject.resolved(Patient)
    assert subject is None or subject.id == "pat"
    assert Patient.read_from(found[0].subject.reference, smart.server).gender == "female"

    before = smart.server.auth.refresh_token
    assert smart.reauthorize()
    assert smart.server.auth.refresh_token != before
    assert Condition.read("asthma", smart.server).code.text == "Asthma"

    refused(lambda: Patient.read("sam", smart.server), FHIRNotFoundException)
    other = Patient({"name": [{"family": "New"}]})
    refused(lambda: other.create(smart.server), FHIRPermissionDeniedException)
    # A code that comes again is refused, and so is everything that came of it.
    refused(lambda: smart.handle_callback(user.left))
    refused(lambda: Patient.read("pat", smart.server), FHIRUnauthorizedException)
    refused(smart.reauthorize)

# A clinician writes.
smart = smart_of("app", "openid fhirUser user/*.cruds")
smart.wants_patient = False
user = User().open(smart.authorize_url)
user.sign_in("ada1")
user.allow()
smart.handle_callback(user.left)
new = Patient({"name": [{"family": "New", "given": ["Nora"]}], "birthDate": "2001-01-01"})
created = new.create(smart.server)
nora = Patient.read(created["id"], smart.server)
nora.gender = "female"
assert nora.update(smart.server)["meta"]["versionId"] == "2"
nora.delete(smart.server)
refused(lambda: Patient.read(created["id"], smart.server))
assert Practitioner.read("ada", smart.server).active

# Saying no, and a state that is not ours.
smart = smart_of("app", "patient/*.rs")
user = User().open(smart.authorize_url)
user.submit([("username", "pat3"), ("password", "wrong")])
assert user.status == 401, user.text
user.sign_in("pat3")
user.deny()
assert "the user said no" in str(refused(lambda: smart.handle_callback(user.left)))
assert not smart.ready
