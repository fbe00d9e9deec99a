//! What may be asked of the server, without HTTP.
//!
//! <https://hl7.org/fhir/R4/http.html>
//!
//! Query parameters arrive decoded and in order, without those that are the transport's
//! (`_format`, `_pretty`). Preconditions arrive parsed.

use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::resource::Resource;

/// Decoded query parameters in the order received.
pub type Parameters = Vec<(String, String)>;

/// One interaction of the FHIR RESTful API.
#[derive(Debug)]
pub enum Interaction {
    /// `GET /metadata`
    Capabilities {
        /// Which statement.
        statement: Statement,
    },
    /// `GET /Patient/1`
    Read {
        /// Which resource.
        of: Instance,
        /// `_summary`, `_elements`.
        parameters: Parameters,
    },
    /// `GET /Patient/1/_history/2`
    Vread {
        /// Which resource.
        of: Instance,
        /// Which version, as asked for.
        version: String,
        /// `_summary`, `_elements`.
        parameters: Parameters,
    },
    /// `POST /Patient`
    Create {
        /// The new resource; an id in it is ignored.
        resource: Resource,
        /// The criteria of `If-None-Exist`.
        if_none_exist: Option<Parameters>,
    },
    /// `PUT /Patient/1`, `PUT /Patient?identifier=…`
    Update {
        /// Which resource.
        target: Target,
        /// Its new content.
        resource: Resource,
        /// The version that must be current: `If-Match`.
        if_match: Option<String>,
        /// `If-None-Match: *`: only if there is none yet.
        if_none_match_any: bool,
    },
    /// `PATCH /Patient/1`, `PATCH /Patient?identifier=…`
    Patch {
        /// Which resource.
        target: Target,
        /// How to change it.
        patch: Patch,
        /// The version that must be current: `If-Match`.
        if_match: Option<String>,
    },
    /// `DELETE /Patient/1`, `DELETE /Patient?identifier=…`
    Delete {
        /// Which resource or resources.
        target: Target,
        /// The version that must be current: `If-Match`.
        if_match: Option<String>,
    },
    /// `GET /Patient/1/_history`, `GET /Patient/_history`, `GET /_history`
    History {
        /// Of what.
        of: HistoryOf,
        /// `_since`, `_at`, `_count` and the page cursor.
        parameters: Parameters,
    },
    /// `GET /Patient?…`, `GET /?…`, `GET /Patient/1/Observation?…`
    Search {
        /// The type, or every type.
        resource_type: Option<ResourceType>,
        /// The compartment to stay in.
        compartment: Option<Instance>,
        /// The query.
        parameters: Parameters,
    },
    /// `POST /` with a batch or transaction
    Bundle {
        /// The bundle.
        bundle: Resource,
    },
    /// `POST /Patient/1/$everything`
    Operation(Operation),
}

/// Which statement is asked for. <https://hl7.org/fhir/R4/http.html#capabilities>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    /// The CapabilityStatement. It is also the answer to `normative`, as the specification allows.
    Full,
    /// The TerminologyCapabilities.
    Terminology,
}

/// An operation and its input. <https://hl7.org/fhir/R4/operations.html>
#[derive(Debug)]
pub struct Operation {
    /// The name without `$`.
    pub name: String,
    /// The type it is asked on, if not the system.
    pub resource_type: Option<ResourceType>,
    /// The instance it is asked on.
    pub id: Option<ResourceId>,
    /// Input as query parameters.
    pub parameters: Parameters,
    /// Input as a resource: Parameters, or the one resource parameter itself.
    pub body: Option<Resource>,
}

/// One resource by type and id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its id.
    pub id: ResourceId,
}

/// Which resource a write is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The one with that id.
    Instance(Instance),
    /// The one that matches: a conditional interaction.
    Criteria {
        /// Its type.
        resource_type: ResourceType,
        /// The query it must match.
        parameters: Parameters,
    },
}

impl Target {
    /// The type of the resource.
    #[must_use]
    pub fn resource_type(&self) -> ResourceType {
        match self {
            Target::Instance(instance) => instance.resource_type,
            Target::Criteria { resource_type, .. } => *resource_type,
        }
    }
}

/// Whose history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryOf {
    /// One resource.
    Instance(Instance),
    /// All of a type.
    Type(ResourceType),
    /// Everything.
    System,
}

/// How to change a resource.
#[derive(Debug)]
pub enum Patch {
    /// JSON Patch, RFC 6902: the document as text.
    Json(String),
    /// FHIRPath Patch: a Parameters resource.
    FhirPath(Resource),
}
