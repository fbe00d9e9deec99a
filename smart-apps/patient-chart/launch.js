// Where an EHR opens the app: on to its authorization server, with what it has open.
import { authorize } from "./smart.js";

const parameters = new URLSearchParams(location.search);
authorize(parameters.get("iss"), parameters.get("launch")).catch((error) => {
  document.getElementById("status").textContent = error.message;
});
