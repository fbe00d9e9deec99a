//! ENDPOINTS: everything the server answers to, on one page.

use super::health;
use crate::config::Config;
use actix_web::{App, body::MessageBody, dev, web};
use std::sync::Arc;

/// The application that every worker runs.
pub(super) fn app(
    config: &Arc<Config>,
) -> App<
    impl dev::ServiceFactory<
        dev::ServiceRequest,
        Config = (),
        Response = dev::ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    App::new()
        .app_data(web::Data::from(Arc::clone(config)))
        .route("/health/live", web::get().to(health::live))
}
